"""A backend that knows nothing of Auth0 or Stripe: it says who asked, as Tollgate tells it."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        answer = {
            "path": self.path,
            "subject": self.headers.get("X-Auth-Subject"),
            "permissions": (self.headers.get("X-Auth-Permissions") or "").split(),
            "plan": self.headers.get("X-Auth-Plan"),
        }
        body = json.dumps(answer).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
