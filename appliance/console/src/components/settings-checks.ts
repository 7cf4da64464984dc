// What the page can see of the box's settings; the box checks the rest.

const NAME_CHARACTERS_MAX = 64;
const HOST_AND_PORT = String.raw`([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\]):\d{1,5}`;
const TRACES = new RegExp(`^https?://${HOST_AND_PORT}$`, "i");
const SYSLOG = new RegExp(`^(udp|tcp)://${HOST_AND_PORT}$`, "i");

/** Whether the box takes a name. */
export const isBoxName = (name: string) =>
  name !== "" && Array.from(name).length <= NAME_CHARACTERS_MAX && !/\p{Cc}/u.test(name);

export const isTraces = (text: string) => TRACES.test(text);

export const isSyslog = (text: string) => SYSLOG.test(text);

/** An address without what people add to it. */
export const bare = (text: string) => text.trim().replace(/\/+$/, "");
