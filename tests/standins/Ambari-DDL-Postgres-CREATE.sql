-- In the manner of Ambari's own: tables, a transaction in its midst, more tables after it.
CREATE TABLE stack(
  stack_id BIGINT NOT NULL,
  stack_name VARCHAR(255) NOT NULL,
  CONSTRAINT PK_stack PRIMARY KEY (stack_id));

CREATE TABLE metainfo (
  "metainfo_key" VARCHAR(255),
  "metainfo_value" VARCHAR,
  CONSTRAINT PK_metainfo PRIMARY KEY ("metainfo_key"));

BEGIN;
INSERT INTO metainfo(metainfo_key, metainfo_value) VALUES
  ('version','3.0.0');
COMMIT;

CREATE TABLE qrtz_fired_triggers
  (
    SCHED_NAME VARCHAR(120) NOT NULL,
    ENTRY_ID VARCHAR(95) NOT NULL,
    PRIMARY KEY (SCHED_NAME,ENTRY_ID)
);
create index idx_qrtz_ft_tg on qrtz_fired_triggers(SCHED_NAME);
