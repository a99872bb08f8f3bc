/**
 * The tracker of maicivy-analytics as a module.
 *
 * @module
 */

export { createTracker, type LetterType, type Options, type Tracker } from "./tracker.js";
