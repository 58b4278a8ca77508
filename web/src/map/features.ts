import type { Feature, FeatureCollection, Point } from "geojson";

import { type ColourScale, colourOf, inkOn } from "../charts/scale";
import type { StationRecord } from "../live/merge";
import { shownState } from "../time/age";
import { formatNumber, reading } from "../weather/format";

export interface MarkerProperties {
  id: string;
  name: string;
  /** A value to be shown; stations without one are hollow. */
  live: boolean;
  label: string;
  colour: string;
  ink: string;
}

export type Markers = FeatureCollection<Point, MarkerProperties>;

export function positionOf({ station }: StationRecord): [number, number] | null {
  const { longitude, latitude } = station;
  if (typeof longitude !== "number" || typeof latitude !== "number") return null;
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? [longitude, latitude] : null;
}

/** Only current values have a colour: an old one would pass for weather. */
export function markers(
  records: Iterable<StationRecord>,
  scale: ColourScale,
  now: number,
): Markers {
  const features: Feature<Point, MarkerProperties>[] = [];
  for (const record of records) {
    const coordinates = positionOf(record);
    if (!coordinates) continue;
    const { id, name } = record.station;
    const value = reading(record.latest, scale.variable);
    const live = value !== null && shownState(record.state, record.latest, now) === "up";
    const colour = live ? colourOf(scale, value) : "";
    features.push({
      type: "Feature",
      geometry: { type: "Point", coordinates },
      properties: {
        id,
        name: name || id,
        live,
        label: live ? formatNumber(value, 0) : "",
        colour: colour || "#808080",
        ink: live ? inkOn(colour) : "#808080",
      },
    });
  }
  return { type: "FeatureCollection", features };
}

export type Bounds = [west: number, south: number, east: number, north: number];

export function boundsOf(markersShown: Markers): Bounds | null {
  const points = markersShown.features.map((feature) => feature.geometry.coordinates);
  if (points.length === 0) return null;
  const longitudes = points.map(([longitude = 0]) => longitude);
  const latitudes = points.map(([, latitude = 0]) => latitude);
  return [min(longitudes), min(latitudes), max(longitudes), max(latitudes)];
}

// Spreading thousands of numbers into Math.min can overflow the stack.
const min = (values: number[]): number => values.reduce((a, b) => Math.min(a, b));
const max = (values: number[]): number => values.reduce((a, b) => Math.max(a, b));
