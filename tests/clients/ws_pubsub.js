// Publish/subscribe said by `ws` exactly as the JavaScript client says it (seed 003, pubsub 3.5), told what to do by JSON
// lines. It is a client of a page: one id and one name for its life, a new socket for each connection.
//
// The one argument is {"address": …, "client_id": …, "client_name": …, "username": …, "secret": …}. Commands on stdin:
//
//   {"do": "connect"}                  {"do": "subscribe", "topic": …}        {"do": "resume", "sub_key": …}
//   {"do": "publish", "topic": …, "data": …, "ctx": …}                        {"do": "unsubscribe", "sub_key": …}
//   {"do": "drop"} (the network is gone, without a close)                     {"do": "disconnect"}
//
// Each thing that happens is a line on stdout: {"event": "connected" | "refused" | "response" | "request" | "closed", …}.
'use strict';

const readline = require('node:readline');
const WebSocket = require('ws');

const settings = JSON.parse(process.argv[2]);
let socket = null;
let token = null;

function tell(event, more) {
  process.stdout.write(JSON.stringify({ event, ...more }) + '\n');
}

function newMessageId() {
  return `${settings.client_name}.${Math.random().toString(24)}`;
}

function send(action, id, data, more) {
  const meta = { id, timestamp: new Date().toISOString(), action, ...more };
  socket.send(JSON.stringify(data === undefined ? { meta } : { meta, data }));
}

function invoke(service, request, id) {
  send('invoke-service', id ?? newMessageId(), { service, request }, { token });
}

function connect() {
  // No subprotocol, and whatever extensions `ws` offers.
  const own = new WebSocket(settings.address);
  socket = own;
  own.on('open', () => send('create-session', newMessageId(), undefined, {
    client_id: settings.client_id, client_name: settings.client_name, username: settings.username,
    secret: settings.secret,
  }));
  own.on('message', (data) => {
    const message = JSON.parse(data.toString('utf8'));
    if (message.meta.msg_type === 'zwsx.rspa') {
      token = message.data.token;
      tell('connected', {});
    } else if (message.meta.in_reply_to) {
      tell('response', { in_reply_to: message.meta.in_reply_to, status: message.meta.status, data: message.data });
    } else {
      // It is taken, and never answered.
      tell('request', { id: message.meta.id, data: message.data });
    }
  });
  own.on('close', (code, reason) => tell('closed', { code, reason: reason.toString('utf8') }));
  own.on('error', () => {});
}

function publish({ topic, data, ctx }) {
  const {
    msg_id = '111', has_gd = false, priority = 5, expiration = null, mime_type = 'text/plain', correl_id = null,
    in_reply_to = null, ext_client_id = null, ext_pub_time = null,
  } = ctx ?? {};
  // The constant is the id of the request, too.
  invoke('zato.pubsub.pubapi.publish-message', {
    topic_name: topic, data, msg_id, has_gd, priority, expiration, mime_type, correl_id, in_reply_to, ext_client_id,
    ext_pub_time,
  }, msg_id);
}

function act(command) {
  switch (command.do) {
    case 'connect': return connect();
    case 'subscribe': return invoke('zato.pubsub.pubapi.subscribe-wsx', { topic_name: command.topic });
    case 'resume': return invoke('zato.pubsub.resume-wsx-subscription', { sub_key: command.sub_key });
    case 'unsubscribe': return invoke('zato.pubsub.pubapi.unsubscribe', { sub_key: command.sub_key });
    case 'publish': return publish(command);
    case 'drop': return socket.terminate();
    case 'disconnect':
      return socket.close(1000, `Client ${settings.client_id} (${settings.client_name}) disconnected`.slice(0, 120));
    default: throw new Error(`nobody knows how to do ${command.do}`);
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => act(JSON.parse(line)))
  .on('close', () => process.exit(0));
