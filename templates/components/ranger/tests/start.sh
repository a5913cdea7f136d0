#!/usr/bin/env bash
# Ranger Admin on a PostgreSQL of this host, and its plugin in the NameNode.
set -eu
# Without a driver it has no database, and the test says so.
[ -e "$RANGER_DRIVER" ] || exit 0
. /usr/lib/bigtop-utils/bigtop-detect-javahome
host=$(hostname -f)
[ -e /var/lib/pgsql/data/PG_VERSION ] || postgresql-setup --initdb
echo "host all all samenet md5" >> /var/lib/pgsql/data/pg_hba.conf
echo "listen_addresses = '*'" >> /var/lib/pgsql/data/postgresql.conf
/etc/init.d/postgresql restart
runuser -u postgres -- psql -qc "CREATE ROLE ranger LOGIN PASSWORD 'ranger'"
runuser -u postgres -- createdb --owner ranger ranger

cd "$PARENT_DIR/usr/lib/ranger-admin"
while IFS='=' read -r name value; do
  sed -i "/^$name *=/d" install.properties
  echo "$name=$value" >> install.properties
done <<SETTINGS
setup_mode=SeparateDBA
DB_FLAVOR=POSTGRES
SQL_CONNECTOR_JAR=$RANGER_DRIVER
db_host=$host
db_name=ranger
db_user=ranger
db_password=ranger
rangerAdmin_password=$RANGER_PASSWORD
rangerTagsync_password=$RANGER_PASSWORD
rangerUsersync_password=$RANGER_PASSWORD
keyadmin_password=$RANGER_PASSWORD
audit_store=
policymgr_external_url=http://$host:6080
ranger_admin_max_heap_size=512m
SETTINGS
echo 'export JAVA_OPTS=-Xms256m' > /etc/ranger/admin/conf/ranger-admin-env-heap.sh
./setup.sh
chown -R ranger: ews/logs
runuser -u ranger -- "$PWD/ews/ranger-admin-services.sh" start
for _ in {1..90}; do
  if curl --silent --fail --output /dev/null "http://$host:6080/login.jsp"; then break; fi
  sleep 2
done
curl --silent --show-error --fail --user "admin:$RANGER_PASSWORD" --header 'Content-Type: application/json' \
  --data '{"name": "smoke_hdfs", "type": "hdfs", "configs": {"username": "hdfs", "password": "-",
    "fs.default.name": "hdfs://localhost:8020", "hadoop.security.authentication": "simple", "hadoop.security.authorization": "false"}}' \
  "http://$host:6080/service/public/v2/api/service"

cat > /etc/hadoop/conf/ranger-hdfs-security.xml <<XML
<?xml version="1.0"?>
<configuration>
  <property><name>ranger.plugin.hdfs.service.name</name><value>smoke_hdfs</value></property>
  <property><name>ranger.plugin.hdfs.policy.source.impl</name><value>org.apache.ranger.admin.client.RangerAdminRESTClient</value></property>
  <property><name>ranger.plugin.hdfs.policy.rest.url</name><value>http://$host:6080</value></property>
  <property><name>ranger.plugin.hdfs.policy.pollIntervalMs</name><value>5000</value></property>
  <property><name>ranger.plugin.hdfs.policy.cache.dir</name><value>$PARENT_DIR/var/lib/hadoop-hdfs/ranger</value></property>
  <property><name>xasecure.add-hadoop-authorization</name><value>true</value></property>
</configuration>
XML
cat > /etc/hadoop/conf/ranger-hdfs-audit.xml <<XML
<?xml version="1.0"?>
<configuration>
  <property><name>xasecure.audit.is.enabled</name><value>false</value></property>
</configuration>
XML
sed -i 's,</configuration>,<property><name>dfs.namenode.inode.attributes.provider.class</name><value>org.apache.ranger.authorization.hadoop.RangerHdfsAuthorizer</value></property></configuration>,' \
  /etc/hadoop/conf/hdfs-site.xml
/etc/init.d/hadoop-hdfs-namenode restart
for _ in {1..90}; do
  if timeout 2 bash -c 'exec 3<>/dev/tcp/localhost/8020' 2> /dev/null; then break; fi
  sleep 2
done
runuser -u hdfs -- timeout 300 "$PARENT_DIR/usr/bin/hdfs" dfsadmin -safemode wait
