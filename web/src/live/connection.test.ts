import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

import type { ServerFrame } from "../api/types";
import { type ConnectionState, LiveConnection, parseFrame } from "./connection";

class FakeSocket {
  static all: FakeSocket[] = [];
  readyState = 0;
  sent: Record<string, unknown>[] = [];
  closed = false;
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  constructor() {
    FakeSocket.all.push(this);
  }
  send(text: string) {
    this.sent.push(JSON.parse(text));
  }
  close() {
    this.closed = true;
  }
  open() {
    this.readyState = 1;
    this.onopen?.();
  }
  say(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }
  subscriptions() {
    return this.sent.filter((frame) => frame.type === "subscribe");
  }
}

const newest = () => FakeSocket.all.at(-1)!;

describe("LiveConnection", () => {
  let states: ConnectionState[];
  let frames: ServerFrame[];
  let connection: LiveConnection;

  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.all = [];
    states = [];
    frames = [];
    connection = new LiveConnection(
      "ws://test",
      { onState: (state) => states.push(state), onFrame: (frame) => frames.push(frame) },
      () => new FakeSocket() as unknown as WebSocket,
      () => 1,
    );
    connection.start();
  });
  afterEach(() => {
    connection.stop();
    vi.useRealTimers();
  });

  it("is live from the server's first word and not before", () => {
    expect(states.at(-1)).toBe("connecting");
    newest().open();
    expect(states.at(-1)).toBe("connecting");
    newest().say({ type: "pong" });
    expect(states.at(-1)).toBe("live");
    expect(frames).toEqual([]);
  });

  it("subscribes when it opens, also for what was asked before", () => {
    connection.subscribe({ id: "a", all: true, channels: ["observation"] });
    newest().open();
    expect(newest().subscriptions()).toEqual([
      { type: "subscribe", id: "a", all: true, channels: ["observation"] },
    ]);
  });

  it("comes back with the last cursor of each subscription", () => {
    connection.subscribe({ id: "a", all: true, channels: ["observation"] });
    newest().open();
    newest().say({ type: "snapshot", id: "a", stations: [], cursor: "10" });
    newest().say({ type: "observation", station: "X", time: "t", cursor: "11" });
    connection.subscribe({ id: "b", stations: ["X"], channels: ["forecast"] });
    newest().onclose?.();
    expect(states.at(-1)).toBe("reconnecting");
    vi.advanceTimersByTime(500);
    newest().open();
    const cursors = newest().subscriptions().map(({ id, cursor }) => [id, cursor]);
    // b never got its snapshot: it must ask for one and not for what followed somebody else's.
    expect(cursors).toEqual([["a", "11"], ["b", undefined]]);
  });

  it("takes no part of a snapshot for a place to go on from", () => {
    connection.subscribe({ id: "a", all: true, channels: ["observation"] });
    const part = { type: "snapshot", id: "a", stations: [], more: true };
    newest().open();
    newest().say(part);
    newest().onclose?.();
    vi.advanceTimersByTime(500);
    newest().open();
    expect(newest().subscriptions()).toEqual([
      { type: "subscribe", id: "a", all: true, channels: ["observation"] },
    ]);
    newest().say(part);
    newest().say({ type: "snapshot", id: "a", stations: [], cursor: "10" });
    expect(frames).toEqual([{ type: "snapshot", id: "a", stations: [], cursor: "10" }]);
  });

  it("asks for a snapshot again when it goes away before what could not be recovered", () => {
    connection.subscribe({ id: "a", all: true, channels: ["observation"] });
    newest().open();
    newest().say({ type: "snapshot", id: "a", stations: [], cursor: "10" });
    newest().say({ type: "recovered", id: "a", complete: false });
    newest().say({ type: "observation", station: "X", time: "t", cursor: "11" });
    newest().onclose?.();
    vi.advanceTimersByTime(500);
    newest().open();
    expect(newest().subscriptions()[0]?.cursor).toBeUndefined();
  });

  it("forgets what was unsubscribed", () => {
    connection.subscribe({ id: "a", all: true, channels: ["observation"] });
    newest().open();
    connection.unsubscribe("a");
    expect(newest().sent.at(-1)).toEqual({ type: "unsubscribe", id: "a" });
    newest().onclose?.();
    vi.advanceTimersByTime(500);
    newest().open();
    expect(newest().subscriptions()).toEqual([]);
  });

  it("says offline after three failures and goes on trying, ever more slowly", () => {
    for (const wait of [500, 1000, 2000]) {
      newest().onclose?.();
      vi.advanceTimersByTime(wait);
    }
    expect(states.at(-1)).toBe("offline");
    expect(FakeSocket.all).toHaveLength(4);
    newest().open();
    newest().say({ type: "pong" });
    expect(states.at(-1)).toBe("live");
  });

  it("drops a socket that no longer answers pings", () => {
    newest().open();
    newest().say({ type: "pong" });
    vi.advanceTimersByTime(20_000);
    expect(newest().sent.at(-1)).toEqual({ type: "ping" });
    const dead = newest();
    vi.advanceTimersByTime(10_000);
    expect(dead.closed).toBe(true);
    expect(states.at(-1)).toBe("reconnecting");
  });

  it("keeps a socket that answers", () => {
    newest().open();
    newest().say({ type: "pong" });
    for (let i = 0; i < 10; i += 1) {
      vi.advanceTimersByTime(20_000);
      newest().say({ type: "pong" });
    }
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("does not wait when told that the network is back", () => {
    newest().onclose?.();
    connection.retryNow();
    expect(FakeSocket.all).toHaveLength(2);
    vi.advanceTimersByTime(60_000);
    expect(FakeSocket.all).toHaveLength(2);
  });

  it("stays stopped once stopped", () => {
    connection.stop();
    vi.advanceTimersByTime(120_000);
    expect(FakeSocket.all).toHaveLength(1);
    expect(newest().closed).toBe(true);
  });

  it("survives frames it does not understand", () => {
    newest().open();
    newest().onmessage?.({ data: "not json" });
    newest().say({ type: "from-the-future", x: 1 });
    expect(states.at(-1)).toBe("live");
  });
});

describe("parseFrame", () => {
  it("gives null for everything that is no frame", () => {
    for (const data of ["", "null", "3", "[]", "{}", new ArrayBuffer(2)]) {
      expect(parseFrame(data)).toBeNull();
    }
  });
});
