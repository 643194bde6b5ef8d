// A backend that ignores letter case and a trailing slash. Each handler answers with its own marker.
//
//   node app.js        prints `PORT n` when it listens on 127.0.0.1:n
"use strict";

const express = require("express");

const app = express();
const marker = (text) => (request, response) => response.type("text/plain").send(text);

app.all("/", marker("PUBLIC-ROOT"));
app.all("/pub/x", marker("PUBLIC-X"));
app.all("/pub/secret", marker("PROTECTED-SECRET"));
app.all("/admin", marker("PROTECTED-ADMIN"));
app.all("/admin/command", marker("PROTECTED-COMMAND"));

const server = app.listen(0, "127.0.0.1", () => {
  console.log(`PORT ${server.address().port}`);
});
