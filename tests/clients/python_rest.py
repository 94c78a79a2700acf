"""The HTTP clients from PyPI: calls what the one argument lists and prints what came of it, both as JSON.

A call is {"client": "json", "path": ..., "payload": ...} for JSONClient, or {"client": "api", "verb": ..., "service":
..., "payload": ...} for APIClient; "address", "username" and "password" belong to each.
"""

import json
import logging
import sys

# First, because it patches what zato.client imports.
import zato.websocket.client  # noqa: F401
import zato.client

logging.disable(logging.INFO)
# Errors without lines of the packages' own code, which nobody here reads.
sys.tracebacklimit = 0


def call(wanted):
    address, auth = wanted['address'], (wanted['username'], wanted['password'])
    if wanted['client'] == 'json':
        response = zato.client.JSONClient(address, wanted['path'], auth=auth).invoke(wanted['payload'])
        is_ok = response.ok
    else:
        client = zato.client.APIClient(address, *auth)
        response = getattr(client, wanted['verb'])(wanted['service'], wanted['payload'])
        is_ok = response.is_ok
    return {'is_ok': is_ok, 'status': response.inner.status_code, 'data': response.data, 'cid': response.cid}


print(json.dumps([call(wanted) for wanted in json.loads(sys.argv[1])]))
