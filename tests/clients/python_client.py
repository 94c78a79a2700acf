"""The WebSocket client from PyPI, as an application uses it, told what to do by JSON lines.

The one argument is the settings as JSON. Commands come on stdin, and each thing that happens is a line on stdout:

    {"do": "invoke", "data": ...}  ->  {"event": "response", "data": ..., "is_ok": ..., "status": ..., ...}
                                       or {"event": "failed", "error": ...}
    {"do": "connect"}              ->  {"event": "connected"} or {"event": "refused"}, by a new client
    {"do": "stop"}                 ->  {"event": "stopped"}

It connects once by itself. A request of the server is {"event": "request", "data": ...}; one that has "answer" is
answered with that, every other with {"seen": <what was asked>}.
"""

import json
import logging
import sys

import zato.websocket.client as wsx
from gevent.fileobject import FileObjectThread

# Each message is logged, with its secrets.
logging.disable(logging.INFO)
# Errors without lines of the packages' own code, which nobody here reads.
sys.tracebacklimit = 0


def tell(event, **more):
    sys.stdout.write(json.dumps({'event': event, **more}) + '\n')
    sys.stdout.flush()


def on_request(request):
    tell('request', data=request.data, id=request.id)
    if isinstance(request.data, dict) and 'answer' in request.data:
        return request.data['answer']
    return {'seen': request.data}


def connect(settings):
    config = wsx.Config()
    config.address = settings['address']
    config.client_id = settings['client_id']
    config.client_name = settings['client_name']
    config.username = settings.get('username')
    config.secret = settings.get('secret')
    config.on_request_callback = on_request
    config.wait_time = 5
    client = wsx.Client(config)
    client.run()
    tell('connected' if client.is_authenticated else 'refused')
    return client


def invoke(client, data):
    try:
        response = client.invoke(data)
    except Exception as error:
        tell('failed', error=str(error))
        return
    if response is None:
        tell('failed', error='no response in time')
    else:
        tell('response', data=response.data, is_ok=response.is_ok, status=response.status,
             id=response.id, in_reply_to=response.in_reply_to)


def main():
    settings = json.loads(sys.argv[1])
    client = connect(settings)
    for line in FileObjectThread(sys.stdin.buffer):
        command = json.loads(line)
        if command['do'] == 'invoke':
            invoke(client, command['data'])
        elif command['do'] == 'connect':
            client = connect(settings)
        elif command['do'] == 'stop':
            client.stop()
            tell('stopped')
            return


main()
