-- In the manner of Ambari's own.
# delimiter ;

CREATE TABLE stack(
  stack_id BIGINT NOT NULL,
  stack_name VARCHAR(100) NOT NULL,
  CONSTRAINT PK_stack PRIMARY KEY (stack_id));

CREATE TABLE metainfo (
  `metainfo_key` VARCHAR(255),
  `metainfo_value` LONGTEXT,
  CONSTRAINT PK_metainfo PRIMARY KEY (`metainfo_key`));

INSERT INTO metainfo(metainfo_key, metainfo_value) VALUES
  ('version','3.0.0');

CREATE TABLE QRTZ_FIRED_TRIGGERS
  (
    SCHED_NAME VARCHAR(100) NOT NULL,
    ENTRY_ID VARCHAR(95) NOT NULL,
    PRIMARY KEY (SCHED_NAME,ENTRY_ID)
);

commit;
