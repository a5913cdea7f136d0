# What scripts that start and ask services have in common. Every start.sh and smoke.sh has it beside it.

await() { # SECONDS COMMAND...: repeat a command until it succeeds; its last output when it never does
  local seconds=$1 start=$SECONDS output
  shift
  until output=$("$@" 2>&1); do
    if [ $((SECONDS - start)) -ge "$seconds" ]; then
      printf 'not within %s seconds: %s\n%s\n' "$seconds" "$*" "$output" >&2
      return 1
    fi
    sleep 2
  done
}

listens() { # HOST PORT: whether something answers there
  # localhost may stand for an address that a host without a network lacks: say 127.0.0.1.
  timeout 2 bash -c "exec 3<> '/dev/tcp/$1/$2'"
}

answers() { # URL: whether a page comes from there
  curl --silent --show-error --fail --max-time 10 --output /dev/null "$1"
}

await_or_log() { # SECONDS LOG COMMAND...: like await; when it never succeeds, the end of the files LOG as well
  await "$1" "${@:3}" && return
  # Unquoted: a pattern.
  tail -n 30 $2 >&2
  return 1
}

home_in_hdfs() { # USER FOLDER [MODE]: a folder of a user's own
  runuser -u hdfs -- "$PARENT_DIR/usr/bin/hdfs" dfs -mkdir -p "$2"
  runuser -u hdfs -- "$PARENT_DIR/usr/bin/hdfs" dfs -chown -R "$1:$1" "$2"
  [ -z "${3-}" ] || runuser -u hdfs -- "$PARENT_DIR/usr/bin/hdfs" dfs -chmod "$3" "$2"
}

python_here() { # ARGUMENT...: run the Python that this host has, 2 or 3
  local one
  for one in python3 python2 python /usr/libexec/platform-python; do
    if command -v "$one" > /dev/null; then
      "$one" "$@"
      return
    fi
  done
  echo 'this host has no Python' >&2
  return 1
}

property() { # NAME FILE: the value of a property of Hadoop's XML, or nothing
  python_here - "$@" << 'PYTHON'
import sys, xml.etree.ElementTree as tree
for one in tree.parse(sys.argv[2]).iter("property"):
    if one.findtext("name") == sys.argv[1]:
        print(one.findtext("value"))
PYTHON
}

set_property() { # NAME VALUE FILE: add a property to a file of Hadoop's XML, or change it
  python_here - "$@" << 'PYTHON'
import sys, xml.etree.ElementTree as tree
name, value, file = sys.argv[1:]
root = tree.parse(file).getroot()
for one in root.findall("property"):
    if one.findtext("name") == name:
        root.remove(one)
one = tree.SubElement(root, "property")
tree.SubElement(one, "name").text, tree.SubElement(one, "value").text = name, value
tree.ElementTree(root).write(file)
PYTHON
}

field() { # KEY...: the value below these keys of the JSON that is read
  python_here -c 'import json, sys
answer = json.load(sys.stdin)
for key in sys.argv[1:]: answer = answer[int(key) if isinstance(answer, list) else key]
print(answer)' "$@"
}

new_postgresql() { # one that starts empty and takes passwords from this host and its neighbours
  [ -e /var/lib/pgsql/data/PG_VERSION ] || postgresql-setup --initdb
  echo 'host all all samenet md5' >> /var/lib/pgsql/data/pg_hba.conf
  echo "listen_addresses = '*'" >> /var/lib/pgsql/data/postgresql.conf
  /etc/init.d/postgresql restart
}

new_database() { # NAME USER PASSWORD: a database with an owner
  runuser -u postgres -- psql -qc "CREATE ROLE $2 LOGIN PASSWORD '$3'"
  runuser -u postgres -- createdb --owner "$2" "$1"
}
