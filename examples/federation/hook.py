"""The hooks of a connection, in plain Python: prints a line for each event. `python3 hook.py PORT`"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Hook(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        ctx = json.loads(body)["ctx"]
        if ctx["type"] == "message":
            # What the other server asks is anything; what it delivers is a list of messages.
            for message in ctx["data"]["data"]:
                print("message", message["topic_name"], json.dumps(message["data"]), flush=True)
        else:
            print(ctx["type"], ctx.get("code", ""), flush=True)
        # With this answer a delivery is acknowledged; after any other than a 2xx it comes again.
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Hook).serve_forever()
