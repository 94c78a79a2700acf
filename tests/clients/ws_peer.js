// A plain WebSocket server made of `ws`, for outgoing connections. Prints its port as the first line.
//
// It greets with {"hello": "ws"}, answers each text with {"text": …} and bytes with the same bytes turned around.
'use strict';

const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => {
  process.stdout.write(`${server.address().port}\n`);
});

server.on('connection', (socket) => {
  socket.send(JSON.stringify({ hello: 'ws' }));
  socket.on('message', (data, isBinary) => {
    socket.send(isBinary ? Buffer.from(data).reverse() : JSON.stringify({ text: data.toString('utf8') }));
  });
});
