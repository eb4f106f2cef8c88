// Answers with the first line of one file of the library, which is the file that changes.
const { readFileSync } = require("node:fs");
const http = require("node:http");

const line = readFileSync(`${__dirname}/library/lodash/changed.js`, "utf8");
const server = http.createServer((_request, response) => response.end(line));
server.listen(Number(process.env.PORT ?? 3000));

process.on("SIGTERM", () => server.close());
