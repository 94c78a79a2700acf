"""A service in plain Python: usage: customers.py PORT SPANWIRE_URL

POST /customers/get answers a customer, or 404. POST /operators/ask asks the WebSocket client that called and answers
what it said.
"""

import json
import sys
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CUSTOMERS = {"7": {"id": "7", "name": "Zażółć Ltd."}}
SPANWIRE = sys.argv[2]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        if self.path == "/customers/get":
            customer = CUSTOMERS.get(str((request or {}).get("id")))
            if customer:
                self.answer(200, customer)
            else:
                self.answer(404, {"error": "No such customer"})
        elif self.path == "/operators/ask":
            connection = self.headers.get("X-Spanwire-Connection-Id")
            self.answer(200, {"operator said": ask(connection, request)})
        else:
            self.answer(404, {"error": "No such path"})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def ask(connection, question):
    """Calls back into the server: a built-in service, mounted on REST, asks the client."""
    body = json.dumps({"pub_client_id": connection, "request_data": question, "timeout": 5}).encode()
    headers = {"Content-Type": "application/json", "X-API-Key": "services1"}
    request = urllib.request.Request(SPANWIRE + "/internal/client/invoke", body, headers)
    with urllib.request.urlopen(request, timeout=6) as response:
        return json.load(response)["response_data"]


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
