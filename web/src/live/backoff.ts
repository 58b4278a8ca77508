const FIRST_MS = 500;
const LONGEST_MS = 30_000;

/**
 * How long to wait before connection attempt `attempt` (0 is the first retry). Doubling, and
 * half of it random: a thousand open dashboards must not come back in the same instant when
 * the API restarts.
 */
export function backoffDelay(attempt: number, random: () => number = Math.random): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 20));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}
