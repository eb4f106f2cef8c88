import blake2 from "blake2";
import express from "express";

const app = express();

app.get("/", (request, response) => {
  const text = String(request.query.text ?? "hello");
  const digest = blake2.createHash("blake2b", { digestLength: 16 }).update(Buffer.from(text)).digest("hex");
  response.json({ text, digest, node: process.versions.node });
});

app.get("/healthz", (_request, response) => {
  response.type("text/plain").send("ok\n");
});

const port = Number(process.env.PORT ?? 3000);
const server = app.listen(port, () => console.log(`listening on port ${port}`));

process.on("SIGTERM", () => {
  console.log("stopping");
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
