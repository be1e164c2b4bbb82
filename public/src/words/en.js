// English. Every name here has its words in the other languages, too; a test compares them.

import { frame } from "./en/frame.js";
import { watch } from "./en/watch.js";
import { manage } from "./en/manage.js";
import { operate } from "./en/operate.js";

export const en = { ...frame, ...watch, ...manage, ...operate };
