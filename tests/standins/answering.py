# It runs with the hosts' own Python, from 3.6 on.
# ruff: noqa: PTH110, PTH123, UP022, UP031, RUF012
"""What the stand-in for Ambari's server answers: accounts, hosts, and the port that agents register at."""

import base64
import json
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEYS = "/var/lib/ambari-server/keys/"
PASSWORD = "/var/lib/ambari-server/administrator"
OS_TYPES = ("redhat8", "redhat9")


class State:
    hosts = {}
    version = ""


def password():
    if not os.path.exists(PASSWORD):
        return "admin"
    with open(PASSWORD) as file:
        return file.read()


class Api(BaseHTTPRequestHandler):
    def answer(self, status, body=None):
        data = json.dumps(body).encode() if body is not None else b""
        self.send_response(status)
        self.send_header("Content-Type", "text/plain;charset=utf-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def allowed(self, user, secret):
        return user == "admin" and secret == password()

    def login(self):
        kind, _, text = self.headers.get("Authorization", "").partition(" ")
        user, _, secret = base64.b64decode(text).decode().partition(":")
        if kind == "Basic" and self.allowed(user, secret):
            return True
        self.answer(403, {"status": 403, "message": "Unable to sign in. Invalid username/password combination."})
        return False

    def do_GET(self):
        path = self.path.partition("?")[0]
        if not self.login():
            return
        if path == "/api/v1/hosts":
            items = [{"Hosts": {"host_name": name, "host_state": state}} for name, state in State.hosts.items()]
            self.answer(200, {"items": items})
        elif path == "/api/v1/users/admin":
            self.answer(200, {"Users": {"user_name": "admin", "admin": True}})
        elif path == "/api/v1/clusters":
            self.answer(200, {"items": []})
        elif path == "/api/v1/services/AMBARI/components/AMBARI_SERVER":
            about = {"service_name": "AMBARI", "component_name": "AMBARI_SERVER", "component_version": State.version}
            self.answer(200, {"RootServiceComponents": about})
        else:
            self.answer(404)

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        if not self.login():
            return
        user = json.loads(body)["Users"]
        if "X-Requested-By" not in self.headers:
            self.answer(400, {"status": 400, "message": "CSRF protection is turned on."})
        elif user["old_password"] != password():
            self.answer(403, {"status": 403, "message": "Wrong current password provided"})
        else:
            with open(PASSWORD, "w") as file:
                file.write(user["password"])
            self.answer(200)

    def log_message(self, *_):
        pass


class Registration(Api):
    """Port 8440: agents register. The real one speaks TLS and STOMP; what it refuses, and how, is the same."""

    def do_GET(self):
        self.answer(200)

    def do_POST(self):
        agent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = "hostname=%(host)s" % agent
        if agent["version"] != State.version:
            reason = "Cannot register host with non compatible agent version, %s, agentVersion=%s, serverVersion=%s"
            self.answer(200, {"exitstatus": 1, "log": reason % (known, agent["version"], State.version)})
        elif agent["os"] not in OS_TYPES:
            reason = "Cannot register host with not supported OS type, %s, serverOsType=redhat8, agentOsType=%s"
            self.answer(200, {"exitstatus": 1, "log": reason % (known, agent["os"])})
        else:
            State.hosts[agent["host"]] = "HEALTHY"
            self.answer(200, {"exitstatus": 0})


def context(folder):
    """TLS from the keystore, which its password file must open."""
    pem = folder + "served.pem"
    call = ["openssl", "pkcs12", "-in", folder + "https.keystore.p12", "-passin", "file:" + folder + "https.pass.txt"]
    done = subprocess.run([*call, "-nodes"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise ValueError("keystore password was incorrect")
    with open(pem, "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        file.write(done.stdout)
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(pem)
    return found


def serve(values, version, log):
    State.version = version
    secure = values.get("api.ssl") == "true"
    try:
        port = int(values.get("client.api.ssl.port", "8443")) if secure else 8080
        api = ThreadingHTTPServer(("", port), Api)
        if secure:
            api.socket = context(KEYS).wrap_socket(api.socket, server_side=True)
    except (OSError, ValueError) as error:
        log("ERROR [main] AmbariServer:1118 - Failed to run the Ambari Server: %s" % error)
        return
    agents = ThreadingHTTPServer(("", 8440), Registration)
    threading.Thread(target=agents.serve_forever, daemon=True).start()
    log("INFO [main] AmbariServer:598 - ********* Started Server **********")
    api.serve_forever()
