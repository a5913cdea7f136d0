#!/usr/bin/env bash
# Ranger Admin on a PostgreSQL of this host, and its plugin in the NameNode.
set -eu
. "$(dirname "$0")/host.sh"
# Without a driver it has no database, and the test says so.
[ -e "$RANGER_DRIVER" ] || exit 0
. /usr/lib/bigtop-utils/bigtop-detect-javahome
host=$(hostname -f)
new_postgresql
new_database ranger ranger ranger

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
await 300 answers "http://$host:6080/login.jsp"
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
set_property dfs.namenode.inode.attributes.provider.class org.apache.ranger.authorization.hadoop.RangerHdfsAuthorizer \
  /etc/hadoop/conf/hdfs-site.xml
/etc/init.d/hadoop-hdfs-namenode restart
await 300 listens 127.0.0.1 8020
runuser -u hdfs -- timeout 300 "$PARENT_DIR/usr/bin/hdfs" dfsadmin -safemode wait
