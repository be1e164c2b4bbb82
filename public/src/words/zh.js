// 简体中文。

import { frame } from "./zh/frame.js";
import { watch } from "./zh/watch.js";
import { manage } from "./zh/manage.js";
import { operate } from "./zh/operate.js";

export const zh = { ...frame, ...watch, ...manage, ...operate };
