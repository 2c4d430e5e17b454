// A way to a server that can be cut and restored.
import net from "node:net";

/** Starts to forward connections to the server at a URL. */
export async function startGate(target) {
  const { hostname, port } = new URL(target);
  const sockets = new Set();
  let isOpen = true;
  const server = net.createServer((near) => {
    if (!isOpen) {
      near.destroy();
      return;
    }
    const far = net.connect(Number(port), hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    isOpen = false;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    cut,
    restore: () => {
      isOpen = true;
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(resolve);
        cut();
      }),
  };
}
