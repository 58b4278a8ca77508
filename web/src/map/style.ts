import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from "maplibre-gl";

import { cssColour } from "../charts/theme";

export const STATIONS = "stations";
export const LAND = "land";
export const BORDERS = "borders";
export const DISC = "disc";
/** The layers that a click or a pointer can meet. */
export const TOUCHABLE = ["station-value", "station-dot", "station-quiet"];

const FONTS = ["Instrument Sans Variable, system-ui, sans-serif"];
const nothing = { type: "FeatureCollection" as const, features: [] };

const liveOnly: ExpressionSpecification = ["==", ["get", "live"], true];
const quietOnly: ExpressionSpecification = ["==", ["get", "live"], false];

/**
 * Every station is a dot. Where there is room it grows to a disc with its value: discs give way
 * to each other, dots never do, so no station is hidden however dense the network.
 */
function dotLayers(): LayerSpecification[] {
  return [
    {
      id: "station-quiet",
      type: "circle",
      source: STATIONS,
      filter: quietOnly,
      paint: {
        "circle-radius": 5,
        "circle-color": cssColour("map-land"),
        "circle-stroke-width": 2,
        "circle-stroke-color": cssColour("quiet"),
      },
    },
    {
      id: "station-dot",
      type: "circle",
      source: STATIONS,
      filter: liveOnly,
      paint: {
        "circle-radius": ["interpolate", ["linear"], ["zoom"], 2, 4, 8, 7],
        "circle-color": ["get", "colour"],
        "circle-stroke-width": 1,
        "circle-stroke-color": cssColour("map-edge"),
      },
    },
  ];
}

function textLayers(): LayerSpecification[] {
  return [
    {
      id: "station-value",
      type: "symbol",
      source: STATIONS,
      filter: liveOnly,
      layout: {
        "icon-image": DISC,
        "icon-size": 1,
        "text-field": ["get", "label"],
        "text-font": FONTS,
        "text-size": 12,
        "text-padding": 0,
        "icon-padding": 1,
      },
      paint: {
        "icon-color": ["get", "colour"],
        "icon-halo-color": cssColour("map-edge"),
        "icon-halo-width": 1,
        "text-color": ["get", "ink"],
      },
    },
    {
      id: "station-name",
      type: "symbol",
      source: STATIONS,
      minzoom: 6,
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONTS,
        "text-size": 12,
        "text-anchor": "top",
        "text-offset": [0, 1.35],
        "text-max-width": 9,
        "text-optional": true,
      },
      paint: {
        "text-color": cssColour("ink"),
        "text-halo-color": cssColour("map-land"),
        "text-halo-width": 1.5,
      },
    },
  ];
}

export function mapStyle(): StyleSpecification {
  return {
    version: 8,
    sources: {
      [LAND]: { type: "geojson", data: nothing, tolerance: 0.3 },
      [BORDERS]: { type: "geojson", data: nothing, tolerance: 0.3 },
      [STATIONS]: { type: "geojson", data: nothing },
    },
    layers: [
      { id: "sea", type: "background", paint: { "background-color": cssColour("map-sea") } },
      { id: "land", type: "fill", source: LAND, paint: { "fill-color": cssColour("map-land") } },
      {
        id: "coast",
        type: "line",
        source: LAND,
        paint: { "line-color": cssColour("map-coast"), "line-width": 0.8 },
      },
      {
        id: "borders",
        type: "line",
        source: BORDERS,
        paint: { "line-color": cssColour("map-border"), "line-width": 1, "line-dasharray": [3, 2] },
      },
      ...dotLayers(),
      ...textLayers(),
    ],
  };
}

/** A disc as a distance field, which lets the map colour one image in every way. */
export function discImage(size = 60, radius = 26): { width: number; height: number; data: Uint8ClampedArray } {
  const data = new Uint8ClampedArray(size * size * 4);
  const middle = (size - 1) / 2;
  for (let y = 0; y < size; y += 1) {
    for (let x = 0; x < size; x += 1) {
      const outside = Math.hypot(x - middle, y - middle) - radius;
      // The map expects the edge at 3/4 of the range, falling by 1/8 for each of its pixels.
      data[(y * size + x) * 4 + 3] = Math.round(255 * (0.75 - outside / 16));
    }
  }
  return { width: size, height: size, data };
}
