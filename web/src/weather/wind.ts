const POINTS = ["N", "NE", "E", "SE", "S", "SW", "W", "NW"] as const;
export type CompassPoint = (typeof POINTS)[number];

/** Slower than this a vane shows where it stuck, not where the wind is from. */
export const CALM_MS = 0.3;

export function compassPoint(degrees: number): CompassPoint {
  const turn = ((degrees % 360) + 360) % 360;
  return POINTS[Math.round(turn / 45) % 8] ?? "N";
}

/** Directions say where the wind is from; an arrow flies where it goes. */
export const arrowTurn = (from: number): number => (from + 180) % 360;
