/** Names of values, metrics and times in the reader's language. */

import type { Failure } from "../api";
import { kept } from "../kept";
import { language } from "../state/preferences";
import type { Range, Unit } from "../view/range";
import { isDate } from "../view/range";
import { zone } from "../view/view";
import { type Box, type Outline, tagOf } from "../view/outline";
import type { Value } from "../wire";
import { say } from ".";
import { readable, visible } from "./address";
import { show } from "./now";

/**
 * Why the server refused something: by its code in the reader's language, or else in the server's words, in either
 * case with the goal or the step that it is about.
 */
export function refusalText({ code, message }: Failure): string {
  const words = say.value;
  const [place = "", list, at, step] = /^(goals|funnels)\[(\d+)\](?: steps\[(\d+)\])? /.exec(message) ?? [];
  const own = message.slice(place.length);
  const known = words.codes[code];
  // Of many kinds of mistakes: which one, only the server's words say.
  const text = known === undefined ? own : code === "INVALID_QUERY" ? `${known} (${own})` : known;
  if (list === undefined) return text;
  const name = (list === "goals" ? words.goalNumber : words.funnelNumber)(Number(at) + 1);
  return words.about(step === undefined ? name : `${name}, ${words.step(Number(step) + 1)}`, text);
}

/** What a dimension is called in a filter. */
export function dimensionName(dimension: string): string {
  return say.value.dimensions[dimension] ?? visible(dimension.replace(/^event:props:/, ""));
}

const CODES: Record<string, Intl.DisplayNamesType> = { "visit:country": "region", "visit:language": "language" };

const displayNames = kept(([language, type]: [string, Intl.DisplayNamesType]) => new Intl.DisplayNames(language, { type, fallback: "none" }));

/** A value of a dimension as it is read. */
export function valueName(dimension: string, value: string): string {
  const known = say.value.values[value === "" ? "" : `${dimension} ${value}`];
  if (known !== undefined) return known;
  const type = CODES[dimension];
  if (type) {
    try {
      const name = displayNames([language.value, type]).of(value);
      if (name) return name.charAt(0).toUpperCase() + name.slice(1);
    } catch {
      // No code.
    }
  }
  return dimension.startsWith("event:p") || /page|referrer/.test(dimension) ? readable(value) : visible(value);
}

/** A value of a metric. */
export function metricText(metric: string, value: Value, short = false): string {
  if (value === null) return "–";
  switch (metric) {
    case "bounce_rate":
    case "scroll_depth":
      return show.value.position(value);
    case "percentage":
    case "conversion_rate":
    case "group_conversion_rate":
      return show.value.precise(value / 100);
    case "visit_duration":
    case "time_on_page":
      return show.value.duration(value);
    default:
      return short ? show.value.short(value) : show.value.number(value);
  }
}

/** A bucket of time. */
export function bucketName(label: string, unit: Unit, short = false): string {
  const { day, dayLong, month, hour } = show.value;
  if (!isDate(label)) return hour(Date.parse(label), zone.value, short);
  if (unit === "month") return month(label, short);
  return short || unit === "week" ? day(label) : dayLong(label);
}

/** A range as it is read. */
export function rangeName(range: Range): string {
  if (typeof range === "string") return say.value.ranges[range];
  const [from, to] = range;
  const { days, hours } = show.value;
  return isDate(from) ? days(from, to) : hours(Date.parse(from), Date.parse(to), zone.value);
}

/** An id as words, as far as it has some. */
const idName = (id: string): string => visible(id.slice(1)).replaceAll(/[-_]/g, " ");

/** Whether an element is named by its own id. */
const hasId = (element: string): boolean => /^#[^>]+$/.test(element);

const kindName = ({ kind }: Box): string => say.value.elements[tagOf(kind)] ?? kind;

/** An element of an outline: its id, or which of its kind it is where it is. */
function boxName(box: Box): string {
  if (hasId(box.element)) return idName(box.element);
  return box.count > 1 ? `${kindName(box)} ${box.place}` : kindName(box);
}

/** An element that was clicked, in words: `main>section:nth-child(2)>a` is the link in section 2. */
export function elementName(element: string | null, outline: Outline | null = null): string {
  const words = say.value;
  if (element === null || element === "") return words.unnamed;
  const found = (name: string): Box | undefined => outline?.boxes.find((box) => box.element === name);
  const box = found(element);
  if (box) {
    const name = hasId(element) ? `${idName(element)} (${kindName(box)})` : boxName(box);
    const around = found(box.within);
    return around ? `${name}${words.inside}${boxName(around)}` : name;
  }
  const within = element.replace(/^(html|body)[^>]*>(body[^>]*>)?/, "");
  const parts = within.split(">").map((part) => {
    const [, tag = "", id, place] = /^([a-z][a-z0-9-]*)?(#[^:]+)?(?::nth-child\((\d+)\))?$/.exec(part.trim()) ?? [];
    if (id) return idName(id);
    const name = words.elements[tag];
    return name === undefined ? null : place === undefined ? name : `${name} ${place}`;
  });
  if (parts.some((part) => part === null)) return visible(element);
  const [clicked, ...around] = parts.reverse();
  const inside = around.find((part) => part !== words.elements.div && part !== words.elements.span);
  return inside ? `${clicked}${words.inside}${inside}` : (clicked ?? words.unnamed);
}
