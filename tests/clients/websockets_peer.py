"""A plain WebSocket server made of Python's `websockets`, for outgoing connections. Prints its port as the first line.

It greets with {"hello": "websockets"}, answers each text with {"text": …} and bytes with the same bytes turned around.
"""

import asyncio
import json

import websockets


async def serve(socket):
    await socket.send(json.dumps({"hello": "websockets"}))
    async for message in socket:
        if isinstance(message, bytes):
            await socket.send(message[::-1])
        else:
            await socket.send(json.dumps({"text": message}, separators=(",", ":")))


async def main():
    async with websockets.serve(serve, "127.0.0.1", 0) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().create_future()


asyncio.run(main())
