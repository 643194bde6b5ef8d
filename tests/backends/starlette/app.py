"""A backend that decodes the path before it routes. Each handler answers with its own marker.

    python app.py        prints `PORT n` when it listens on 127.0.0.1:n
"""

import asyncio
import socket

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

ANY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def marker(text):
    async def handler(request):
        return PlainTextResponse(text)

    return handler


def route(path, text):
    return Route(path, marker(text), methods=ANY)


app = Starlette(
    routes=[
        route("/", "PUBLIC-ROOT"),
        route("/pub/x", "PUBLIC-X"),
        route("/pub/secret", "PROTECTED-SECRET"),
        route("/admin", "PROTECTED-ADMIN"),
        route("/admin/command", "PROTECTED-COMMAND"),
    ]
)


def main():
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    print(f"PORT {listener.getsockname()[1]}", flush=True)
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
    asyncio.run(server.serve(sockets=[listener]))


if __name__ == "__main__":
    main()
