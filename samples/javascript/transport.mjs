// Cap'n Proto messages over TCP for capnp-es, which brings no transport of its own.
import { connect } from "node:net";
import { Conn, Message } from "capnp-es";
import { Message as RpcMessage } from "capnp-es/capnp/rpc";

/** Bytes of the first whole message in `bytes`; 0 if it is not complete. Segment table first: count - 1, sizes in words. */
function messageLength(bytes) {
  if (bytes.length < 4) return 0;
  const segments = bytes.readUInt32LE(0) + 1;
  const head = (4 + 4 * segments + 7) & ~7;
  if (bytes.length < head) return 0;
  let words = 0;
  for (let i = 0; i < segments; ++i) words += bytes.readUInt32LE(4 + 4 * i);
  return bytes.length < head + 8 * words ? 0 : head + 8 * words;
}

class SocketTransport {
  constructor(socket) {
    this.socket = socket;
    this.bytes = Buffer.alloc(0);
    this.messages = [];
    this.waiting = null;
    this.over = null;
    socket.on("data", (more) => {
      this.bytes = Buffer.concat([this.bytes, more]);
      for (let n; (n = messageLength(this.bytes)) > 0; this.bytes = this.bytes.subarray(n)) {
        const copy = new Uint8Array(this.bytes.subarray(0, n));
        this.take(new Message(copy.buffer, false).getRoot(RpcMessage));
      }
    });
    socket.on("error", (error) => this.end(error));
    socket.on("close", () => this.end(new Error("the gateway closed the connection")));
  }
  take(message) {
    if (!this.waiting) return void this.messages.push(message);
    const { resolve } = this.waiting;
    this.waiting = null;
    resolve(message);
  }
  end(error) {
    this.over ??= error;
    this.waiting?.reject(this.over);
    this.waiting = null;
  }
  recvMessage() {
    if (this.messages.length > 0) return Promise.resolve(this.messages.shift());
    if (this.over) return Promise.reject(this.over);
    return new Promise((resolve, reject) => (this.waiting = { resolve, reject }));
  }
  sendMessage(message) {
    const copy = new Message();
    copy.setRoot(message);
    this.socket.write(new Uint8Array(copy.toArrayBuffer()));
  }
  close() {
    this.socket.destroy();
    this.end(new Error("closed"));
  }
}

/** The capability which `address` ("host:port") offers, and how to let it go; `lost` is called when the connection breaks. */
export function dial(address, Interface, lost, timeoutMs = 2000) {
  const at = address.lastIndexOf(":");
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)), noDelay: true });
    socket.setTimeout(timeoutMs, () => socket.destroy(new Error("no connection in time")));
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.off("error", reject);
      const transport = new SocketTransport(socket);
      const connection = new Conn(transport);
      connection.onError = lost;
      socket.once("close", lost);
      resolve({ main: connection.bootstrap(Interface), close: () => transport.close() });
    });
  });
}
