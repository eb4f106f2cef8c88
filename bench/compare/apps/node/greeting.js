import { z } from "zod";

const name = z.string().min(1);

export const greeting = (who) => `hello from node, ${name.parse(who)}\n`;
