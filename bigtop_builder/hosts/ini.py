"""Ini files that are changed in place, such as ``ambari-agent.ini``."""

from __future__ import annotations

from shlex import quote

# Sets the key in its own section only; adds a missing section or key.
_INI = r"""file={file}
new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
awk -v section={section} -v key={key} -v value={value} '
    /^[ \t]*\[/ {{ if (inside && !done) {{ print key "=" value; done = 1 }}
        name = $0; sub(/^[ \t]*\[/, "", name); sub(/\].*/, "", name); inside = (name == section) }}
    inside {{ name = $0; sub(/^[ \t]+/, "", name); sub(/[ \t]*[=:].*/, "", name)
        if (name == key) {{ if (!done) print key "=" value; done = 1; next }} }}
    {{ print }}
    END {{ if (!done) {{ if (!inside) print "[" section "]"; print key "=" value }} }}' "$file" > "$new"
chmod --reference="$file" "$new"
chown --reference="$file" "$new"
mv -f "$new" "$file"
"""


def set_ini(path: str, section: str, key: str, value: str) -> str:
    """Return bash that sets one key of one section of an ini file."""
    return _INI.format(file=quote(path), section=quote(section), key=quote(key), value=quote(value))
