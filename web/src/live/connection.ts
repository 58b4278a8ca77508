import type { ClientFrame, ServerFrame, Subscription } from "../api/types";
import { backoffDelay } from "./backoff";
import { SnapshotParts } from "./parts";

export type ConnectionState = "connecting" | "live" | "reconnecting" | "offline";

const SUBPROTOCOL = "weatherglass.v1+json";
const PING_EVERY_MS = 20_000;
/** A socket that says nothing for this long after a ping is dead, whatever TCP believes. */
const ANSWER_WITHIN_MS = 10_000;
/** From this many failed attempts in a row the page says "offline"; it goes on trying. */
const OFFLINE_AFTER = 3;

export interface ConnectionEvents {
  onFrame(frame: ServerFrame): void;
  onState(state: ConnectionState): void;
}

interface Held {
  subscription: Subscription;
  /**
   * Each subscription resumes from its own cursor: a snapshot of one may run ahead of updates
   * that another has yet to receive, and a shared cursor would skip them.
   */
  cursor?: string;
}

/** The one socket of the page. Everything else sees frames and a state. */
export class LiveConnection {
  private socket: WebSocket | null = null;
  private readonly held = new Map<string, Held>();
  private readonly parts = new SnapshotParts();
  private failures = 0;
  private everLive = false;
  private stopped = true;
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private pingTimer: ReturnType<typeof setInterval> | undefined;
  private answerTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly url: string,
    private readonly events: ConnectionEvents,
    private readonly openSocket: (url: string) => WebSocket = (to) =>
      new WebSocket(to, [SUBPROTOCOL]),
    private readonly random: () => number = Math.random,
  ) {}

  start(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.connect();
  }

  stop(): void {
    this.stopped = true;
    clearTimeout(this.retryTimer);
    this.drop();
  }

  /** The network came back or the tab woke up: don't sit out the rest of a long wait. */
  retryNow(): void {
    if (this.stopped || this.socket) return;
    clearTimeout(this.retryTimer);
    this.connect();
  }

  subscribe(subscription: Subscription): void {
    const held: Held = { subscription };
    this.held.set(subscription.id, held);
    this.sendSubscribe(held);
  }

  unsubscribe(id: string): void {
    if (this.held.delete(id)) this.send({ type: "unsubscribe", id });
  }

  private connect(): void {
    this.events.onState(this.restingState());
    let socket: WebSocket;
    try {
      socket = this.openSocket(this.url);
    } catch {
      this.scheduleRetry();
      return;
    }
    this.socket = socket;
    socket.onopen = () => this.opened();
    socket.onmessage = (message: MessageEvent) => {
      if (this.socket === socket) this.receive(message.data);
    };
    socket.onclose = () => {
      if (this.socket === socket) this.lost();
    };
    // onclose always follows; the error itself says nothing a browser may tell.
    socket.onerror = () => undefined;
  }

  private opened(): void {
    for (const held of this.held.values()) this.sendSubscribe(held);
    this.pingTimer = setInterval(() => this.ping(), PING_EVERY_MS);
    // "live" waits for the server's first word: a proxy may accept a socket to nowhere.
    this.ping();
  }

  private receive(data: unknown): void {
    clearTimeout(this.answerTimer);
    this.answerTimer = undefined;
    this.failures = 0;
    this.everLive = true;
    this.events.onState("live");
    const said = parseFrame(data);
    const frame = said && this.parts.join(said);
    if (!frame) return;
    this.remember(frame);
    if (frame.type !== "pong") this.events.onFrame(frame);
  }

  private remember(frame: ServerFrame): void {
    const cursor = "cursor" in frame ? frame.cursor : undefined;
    if (frame.type === "snapshot" || (frame.type === "recovered" && !frame.complete)) {
      // What could not be recovered leaves no place to go on from until its snapshot is here.
      const held = this.held.get(frame.id);
      if (held) held.cursor = cursor;
    } else if (cursor !== undefined) {
      // Only subscriptions whose snapshot has come: an update ahead of it is no resume point.
      for (const held of this.held.values()) if (held.cursor !== undefined) held.cursor = cursor;
    }
  }

  private ping(): void {
    this.send({ type: "ping" });
    this.answerTimer ??= setTimeout(() => this.lost(), ANSWER_WITHIN_MS);
  }

  private sendSubscribe({ subscription, cursor }: Held): void {
    this.send({ type: "subscribe", ...subscription, ...(cursor === undefined ? {} : { cursor }) });
  }

  private send(frame: ClientFrame): void {
    if (this.socket?.readyState === 1) this.socket.send(JSON.stringify(frame));
  }

  private lost(): void {
    this.drop();
    if (!this.stopped) this.scheduleRetry();
  }

  private drop(): void {
    clearInterval(this.pingTimer);
    clearTimeout(this.answerTimer);
    this.answerTimer = undefined;
    this.parts.clear();
    const socket = this.socket;
    this.socket = null;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = null;
      socket.close();
    }
  }

  private scheduleRetry(): void {
    const delay = backoffDelay(this.failures, this.random);
    this.failures += 1;
    this.events.onState(this.restingState());
    this.retryTimer = setTimeout(() => this.connect(), delay);
  }

  private restingState(): ConnectionState {
    if (this.failures >= OFFLINE_AFTER) return "offline";
    return this.everLive ? "reconnecting" : "connecting";
  }
}

/** null for what this version does not understand: a newer server may say more than we know. */
export function parseFrame(data: unknown): ServerFrame | null {
  if (typeof data !== "string") return null;
  try {
    const frame: unknown = JSON.parse(data);
    return isFrame(frame) ? frame : null;
  } catch {
    return null;
  }
}

function isFrame(frame: unknown): frame is ServerFrame {
  return typeof frame === "object" && frame !== null && "type" in frame;
}
