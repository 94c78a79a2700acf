// Plays vectors of tests/vectors with `ws` and prints one outcome a line, with the keys of tests/e2e/vectors/check.rs.
//
// The one argument is a file: {"admin": URL, "admin_token": …, "valid_token": …, "pings_to_answer": …, "token_over_ms":
// …, "cases": [{"url": …, "vector": …, "asked": …}, …]}. Before the event that stops the server it prints {"stop": true},
// and goes on when it is stopped. All comparing is left to the caller.
'use strict';

const fs = require('node:fs');
const WebSocket = require('ws');

const job = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const PATIENCE = 15000;

function print(value) {
  process.stdout.write(JSON.stringify(value) + '\n');
}

async function admin(method, path, body) {
  const headers = { authorization: `Bearer ${job.admin_token}`, 'content-type': 'application/json' };
  const answer = await fetch(job.admin + path, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text();
  return { status: answer.status, body: text ? JSON.parse(text) : null };
}

// One connection, with everything that came and was not looked at yet.
class Client {
  constructor(url) {
    this.seen = { messages: [], binary: 0, pongs: [], pings: [], close: null, ended: false };
    this.waiting = [];
    this.socket = new WebSocket(url, { perMessageDeflate: false, autoPong: false });
    this.socket.on('message', (data, isBinary) => {
      if (isBinary) {
        this.seen.binary += 1;
      } else {
        this.seen.messages.push(JSON.parse(data.toString('utf8')));
      }
      this.wake();
    });
    this.socket.on('ping', (data) => { this.seen.pings.push(data.toString('utf8')); this.wake(); });
    this.socket.on('pong', (data) => { this.seen.pongs.push(data.toString('utf8')); this.wake(); });
    this.socket.on('close', (code, reason) => {
      // 1005 stands for a close without a code, 1006 for none at all.
      if (code !== 1006) {
        this.seen.close = { code: code === 1005 ? null : code, reason: reason.toString('utf8') };
      }
      this.seen.ended = true;
      this.wake();
    });
    this.socket.on('open', () => this.wake());
    this.socket.on('error', (error) => { this.error = error; });
  }

  wake() {
    for (const wake of this.waiting.splice(0)) { wake(); }
  }

  // Waits until this holds or the connection has ended.
  async until(what, holds) {
    let timer;
    const tooLate = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`still not: ${what}; ${JSON.stringify(this.seen)}`)), PATIENCE);
    });
    const held = async () => {
      while (!holds() && !this.seen.ended) {
        await new Promise((wake) => this.waiting.push(wake));
      }
    };
    try {
      await Promise.race([held(), tooLate]);
    } finally {
      clearTimeout(timer);
    }
  }

  open() {
    return this.until('open', () => this.socket.readyState === WebSocket.OPEN);
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  async message() {
    await this.until('a message', () => this.seen.messages.length > 0);
    return this.seen.messages.shift();
  }

  async answerPings(count) {
    for (let n = 0; n < count; n += 1) {
      await this.until('a ping', () => this.seen.pings.length > n);
      this.socket.pong(this.seen.pings[n]);
    }
  }
}

async function record(vector) {
  const found = await admin('GET', `/api/v1/connections?channel_name=${encodeURIComponent(vector.name)}`);
  return found.body[0] ?? null;
}

async function logIn(client, vector) {
  const meta = { action: 'create-session', id: 'login', timestamp: '' };
  if (vector.config?.needs_auth !== false) {
    Object.assign(meta, { username: 'user1', secret: 'secret1' });
  }
  client.send({ meta });
  return (await client.message()).data.token;
}

function sendMessage(client, vector, token, request) {
  const { message } = vector;
  const options = { binary: vector.frame === 'binary', mask: message.unmasked !== true };
  if (message.raw_text !== undefined) {
    client.socket.send(Buffer.from(message.raw_text, 'utf8'), options);
  } else if (message.raw_hex !== undefined) {
    client.socket.send(Buffer.from(message.raw_hex, 'hex'), options);
  } else {
    const copy = structuredClone(message);
    if (copy.meta?.token === job.valid_token) {
      copy.meta.token = token;
    }
    if (request !== null) {
      copy.meta.in_reply_to = request;
    }
    client.socket.send(Buffer.from(JSON.stringify(copy), 'utf8'), options);
  }
}

async function act(client, vector, token, request) {
  const { message } = vector;
  switch (vector.direction) {
    case 'client-to-server': return sendMessage(client, vector, token, request);
    case 'ping-frame': return client.socket.ping(message.payload_text);
    case 'pong-frame':
      if (vector.expected.ttl_extended_by !== undefined) {
        return client.answerPings(job.pings_to_answer);
      }
      return client.socket.pong(message.payload_text);
    case 'server-ping-frame': return client.answerPings(1);
    case 'close-frame':
      return message.close_frame === null ? client.socket.close()
        : client.socket.close(message.close_frame.code, message.close_frame.reason);
    case 'admin':
      if (vector.name === 'channel-deleted') {
        return print({ stop: true });
      }
      return admin('DELETE', `/api/v1/connections/${(await record(vector)).pub_client_id}`);
    // The server acts, or time does.
    case 'timer':
    case 'server-to-client': return undefined;
    default: throw new Error(`nobody knows how to do ${vector.direction}`);
  }
}

// Calls when a token says that there is a session, else logs in.
async function probe(client, token) {
  const meta = token
    ? { action: 'invoke-service', id: 'probe', token }
    : { action: 'create-session', id: 'probe', username: 'user1', secret: 'secret1' };
  client.send({ meta, data: { service: 'zato.ping' } });
  const { messages } = client.seen;
  const isAnswer = (message) => message.meta.in_reply_to === 'probe';
  await client.until('the answer to the probe', () => messages.some(isAnswer));
  const at = messages.findIndex(isAnswer);
  return at < 0 ? null : messages.splice(at, 1)[0];
}

async function play({ url, vector, asked }) {
  const client = new Client(url);
  await client.open();
  const { expected } = vector;
  const fromServer = vector.direction === 'server-to-client';
  let token = '';
  if (vector.state_before !== 'unauthenticated') {
    token = await logIn(client, vector);
  }
  if (vector.state_before === 'token-expired') {
    // Any message, and any look at it, would make the token live longer: there is only time to wait for.
    await new Promise((over) => { setTimeout(over, job.token_over_ms); });
  }
  let answer = null;
  let request = null;
  if (asked || fromServer) {
    const timeout = vector.direction === 'timer' || fromServer ? 0.3 : 10;
    const id = (await record(vector)).pub_client_id;
    answer = admin('POST', `/api/v1/connections/${id}/invoke`, { request: vector.message.data ?? null, timeout });
  }
  if (asked) {
    request = (await client.message()).meta.id;
  }
  await act(client, vector, token, request);
  if (vector.direction === 'timer') {
    // Nobody answers: the asker has to hear of it before the state says anything.
    answer = await answer;
  }

  const outcome = { after: null, connection: null, old_token: null, token };
  if (expected.close === null) {
    const wanted = expected.send.length + (fromServer ? 1 : 0);
    await client.until('all replies', () => client.seen.messages.length + client.seen.pongs.length >= wanted);
    outcome.after = await probe(client, client.seen.messages[0]?.data?.token ?? token);
    outcome.connection = url.startsWith(job.ws) ? await record(vector) : null;
  } else {
    await client.until('the end', () => false);
  }
  Object.assign(outcome, structuredClone(client.seen));
  if (expected.new_token) {
    Object.assign(client.seen, { messages: [] });
    client.send({ meta: { action: 'invoke-service', id: 'old', token } });
    await client.until('the end', () => false);
    outcome.old_token = { messages: client.seen.messages, close: client.seen.close };
  }
  outcome.asked = await answer;
  client.socket.terminate();
  return outcome;
}

async function main() {
  for (const example of job.cases) {
    let outcome;
    try {
      outcome = await play(example);
    } catch (error) {
      outcome = { failed: String(error.stack) };
    }
    print({ name: example.vector.name, outcome });
  }
}

main();
