// Why a unit stood: the stops of a shift as rows for the thumb, and the tree of reasons to choose from.

import { durationText } from "../format.ts";
import { type Context, reasonOf } from "../panels/context.ts";
import { button, emptyState, h, setText } from "../panels/dom.ts";
import { icon } from "../panels/icons.ts";
import type { ReasonRow, ReasonsPage, SaidAnswer, StopRow } from "../protocol.ts";
import { idPath } from "../rest.ts";
import { language, t } from "../words.ts";

const STEP_MS = 30_000;

/** How times of the shift are written: by the plan's clock. */
export type Clock = (time_ns: number) => string;

const STOOD: Readonly<Record<string, string>> = {
  down: t("down"),
  delayed: t("waiting"),
  setup: t("set-up"),
  planned: t("planned stop"),
  unknown: t("not known"),
};

/** The stops as a list; `choose` is asked for the one that is pressed. */
export function stopList(stops: readonly StopRow[], clock: Clock, choose: (stop: StopRow) => void): HTMLElement {
  if (stops.length === 0) return emptyState("check", t("No stops"), t("Where a unit stood in this shift, it is listed here."));
  return h("ul", { class: "stop-list" }, ...stops.map((stop) => h("li", {}, row(stop, clock, choose))));
}

function row(stop: StopRow, clock: Clock, choose: (stop: StopRow) => void): HTMLElement {
  const length = durationText((stop.end_ns - stop.start_ns) / 1e6);
  const machine = [stop.state, stop.cause].filter(Boolean).join(" · ");
  const why = stop.reason_name ? [stop.reason_name, stop.comment].filter(Boolean).join(": ") : machine;
  return h(
    "button",
    {
      class: stop.is_unexplained ? "stop asked" : "stop",
      title: stop.reason_name ? t("{machine} · said by {who}", { machine, who: stop.by }) : "",
      attrs: { type: "button", "data-stop": `${stop.twin} ${stop.start_ns}` },
      on: { click: () => choose(stop) },
    },
    h("span", { class: `mark ${stop.condition}` }),
    h("strong", {}, stop.name),
    h("span", { class: "when" }, `${clock(stop.start_ns)} · ${stop.is_open ? t("for {duration}", { duration: length }) : length}`),
    h("span", { class: "why" }, `${STOOD[stop.condition] ?? stop.condition}${why ? ` · ${why}` : ""}`),
    stop.is_unexplained && h("span", { class: "chip ask" }, t("Why?")),
  );
}

/** Says what was done, and how it is undone. */
export type Tell = (what: string, undo?: () => void) => void;

/** The reasons of a stop, in steps of the thumb; `done` when one was said, or none was wanted. */
export async function reasonChooser(context: Context, stop: StopRow, clock: Clock, done: () => void, tell: Tell): Promise<HTMLElement> {
  const { rest } = context.mirror;
  const tree = await rest.get<ReasonsPage>("downtime-reasons", { twin: stop.twin, language });
  let chosen = stop.reason;
  const level = h("div", { class: "choose-level" });
  const failed = h("p", { class: "form-error", role: "alert" });
  const comment = h("input", { class: "input", attrs: { type: "text", maxlength: "500", value: stop.comment, placeholder: t("Comment, if there is more to say"), "aria-label": t("Comment") } });
  const part = partOf(stop, clock);

  const show = (reasons: readonly ReasonRow[], above: ReasonRow | null): void => {
    const choices = above ? [above, ...reasons] : reasons;
    level.replaceChildren(
      h(
        "div",
        { class: "reason-grid", role: "group", attrs: { "aria-label": above ? above.name : t("Reason") } },
        above && h("button", { class: "reason", attrs: { type: "button" }, on: { click: () => show(tree.reasons, null) } }, icon("up"), t("All reasons")),
        ...choices.map((reason) => {
          const opens = reason !== above && reason.below.length > 0;
          const isOn = chosen === reason.code || (opens && chosen.startsWith(`${reason.code}/`));
          return h(
            "button",
            { class: "reason", attrs: { type: "button", "aria-pressed": String(isOn), "data-reason": reason.code }, on: { click: () => {
              chosen = reason.code;
              save.disabled = false;
              if (opens) show(reason.below, reason);
              else for (const each of level.querySelectorAll("[data-reason]")) each.setAttribute("aria-pressed", String(each.getAttribute("data-reason") === chosen));
            } } },
            h("span", {}, reason === above ? t("{reason}, nothing more exact", { reason: reason.name }) : reason.name),
            opens && icon("chevron"),
          );
        }),
      ),
    );
  };

  const say = async (): Promise<void> => {
    save.disabled = true;
    try {
      const said = await rest.post<SaidAnswer>("stops/reasons", { twin: stop.twin, ...part.span(), reason: chosen, comment: comment.value });
      tell(t("Noted for {name}", { name: stop.name }), () => void takeBack(context, said.id, done, tell));
      done();
    } catch (error) {
      save.disabled = false;
      setText(failed, reasonOf(error));
    }
  };
  const save = button(t("Save"), () => void say(), "primary", "check");
  save.disabled = chosen === "";
  const head = tree.reasons.find((reason) => reason.below.some((below) => below.code === chosen));
  show(head ? head.below : tree.reasons, head ?? null);
  return h(
    "div",
    { class: "choose" },
    h(
      "div",
      { class: "choose-head" },
      h("strong", {}, stop.name),
      h("span", { class: "dim num" }, `${clock(stop.start_ns)} – ${stop.is_open ? t("now") : clock(stop.end_ns)} · ${durationText((stop.end_ns - stop.start_ns) / 1e6)}`),
      h("span", { class: "dim" }, [STOOD[stop.condition], stop.state, stop.cause].filter(Boolean).join(" · ")),
      stop.said_id && button(t("Take back"), () => void takeBack(context, stop.said_id, done, tell), "quiet"),
    ),
    level,
    comment,
    part.element,
    failed,
    h("div", { class: "choose-foot" }, button(t("Back"), done, "quiet"), save),
  );
}

async function takeBack(context: Context, id: string, done: () => void, tell: Tell): Promise<void> {
  try {
    await context.mirror.rest.delete(`stops/reasons/${idPath(id)}`);
    tell(t("Taken back"));
    done();
  } catch (error) {
    tell(`${t("Not taken back")}: ${reasonOf(error)}`);
  }
}

/** Of which part of a stop one speaks: all of it, or from here to there, which splits it. */
function partOf(stop: StopRow, clock: Clock): { element: HTMLElement; span(): { start_ns: number; end_ns: number | null } } {
  const steps = Math.floor((stop.end_ns - stop.start_ns) / 1e6 / STEP_MS);
  if (steps < 2) return { element: h("span", { hidden: true }), span: () => ({ start_ns: stop.start_ns, end_ns: stop.is_open ? null : stop.end_ns }) };
  const at = (step: number): number => (step >= steps ? stop.end_ns : stop.start_ns + step * STEP_MS * 1e6);
  const slider = (label: string, value: number): readonly [HTMLInputElement, HTMLOutputElement, HTMLElement] => {
    const input = h("input", { attrs: { type: "range", min: 0, max: steps, value, "aria-label": label } });
    const shown = h("output", {});
    return [input, shown, h("label", {}, h("span", {}, label), input, shown)];
  };
  const [from, fromText, fromRow] = slider(t("From"), 0);
  const [to, toText, toRow] = slider(t("To"), steps);
  const paint = (): void => {
    const end = Number(to.value);
    setText(fromText, clock(at(Number(from.value))));
    setText(toText, end >= steps && stop.is_open ? t("now") : clock(at(end)));
    from.setAttribute("aria-valuetext", fromText.textContent ?? "");
    to.setAttribute("aria-valuetext", toText.textContent ?? "");
  };
  from.addEventListener("input", () => {
    if (Number(from.value) >= Number(to.value)) from.value = String(Number(to.value) - 1);
    paint();
  });
  to.addEventListener("input", () => {
    if (Number(to.value) <= Number(from.value)) to.value = String(Number(from.value) + 1);
    paint();
  });
  paint();
  return {
    element: h("details", { class: "choose-part" }, h("summary", {}, t("Only a part of it (splits the stop)")), fromRow, toRow),
    span: () => {
      const end = Number(to.value);
      return { start_ns: at(Number(from.value)), end_ns: end >= steps && stop.is_open ? null : at(end) };
    },
  };
}
