import compression from "compression";
import express from "express";
import helmet from "helmet";
import pino from "pino";
import { greeting } from "./greeting.js";

const log = pino();
const app = express();
app.use(helmet(), compression());
app.get("/", (_request, response) => {
  response.type("text/plain").send(greeting("world"));
});

const server = app.listen(Number(process.env.PORT ?? 3000), () => log.info("listening"));

process.on("SIGTERM", () => server.close());
