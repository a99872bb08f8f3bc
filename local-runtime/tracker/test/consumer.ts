// Compiles against the module's types as a user would use them.

import { createTracker, type LetterType, type Options, type Tracker } from "maicivy-tracker";

const options: Options = { endpoint: "https://stats.example.com/api/v1/analytics", site: "cv" };
const tracker: Tracker = createTracker({ ...options, manual: true });
const letter: LetterType = "anti_motivation";
tracker.track("signed_up", { plan: "pro", seats: 3 });
tracker.track("paid", null, "/checkout/2");
tracker.theme("backend");
tracker.letter(letter);
// @ts-expect-error there are two letters
tracker.letter("love");
// @ts-expect-error data is an object
tracker.track("plain", 5);
createTracker({ collect: "https://stats.example.com/mcv/notes", site: "cv", hash: true });
// @ts-expect-error an endpoint is needed
createTracker({ site: "cv" });
