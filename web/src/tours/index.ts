// Show and tell: a link to what is shown, a picture of it, the page within another, and guided tours.

import "./tours.css";

import { openName } from "../boards/dialogs.ts";
import type { Link } from "../link.ts";
import type { Context } from "../panels/context.ts";
import { reasonOf, remembered } from "../panels/context.ts";
import { button, h, iconButton, popover } from "../panels/dom.ts";
import { mayEdit } from "../panels/edit.ts";
import { icon } from "../panels/icons.ts";
import { type SheetKind, SheetStore } from "../sheets.ts";
import { t } from "../words.ts";
import { Arrival } from "./arrival.ts";
import { TourEditor } from "./editor.ts";
import { openEmbed } from "./embed.ts";
import { KIND, read, type Tour, written } from "./model.ts";
import { offerLink } from "./offer.ts";
import { pictureOf, save } from "./picture.ts";
import { TourPlayer } from "./player.ts";

const TOURS: SheetKind<Tour> = { kind: KIND, read, written, made: t("tour made"), renamed: t("tour renamed"), deleted: t("tour deleted") };

/** Tours as another room of the page plays them. */
export interface Tours {
  names(): readonly string[];
  play(name: string): void;
  readonly player: Pick<TourPlayer, "stop" | "step" | "close">;
}

export class Show implements Tours {
  /** The way to all of it, for the bar above. */
  readonly button = iconButton("share", t("Show and tell: link, picture, tours"), () => undefined, "show-button");
  readonly arrival: Arrival;
  private readonly list = h("div", { class: "show-list", role: "dialog", attrs: { "aria-label": t("Show and tell") } });
  private readonly popover: { close(): void; isOpen(): boolean };
  private readonly hasCaption = remembered("picture.caption", true);
  private readonly store: SheetStore<Tour>;
  readonly player: TourPlayer;
  private readonly editor: TourEditor;

  constructor(private readonly context: Context) {
    this.arrival = new Arrival(context);
    this.store = new SheetStore(context.mirror, TOURS);
    this.player = new TourPlayer(context, () => undefined);
    this.editor = new TourEditor(context, this.store, this.arrival, this.player);
    this.arrival.more.push((link) => this.followTour(link));
    this.popover = popover(this.button, this.list, () => this.build());
  }

  /** Saves a picture of the scene. */
  async savePicture(): Promise<void> {
    await this.tell(async () => {
      const name = save(this.context, await pictureOf(this.context, this.hasCaption.get()));
      this.context.toast({ tone: "plain", title: t("Picture saved"), detail: name });
    });
  }

  private async copyPicture(): Promise<void> {
    await this.tell(async () => {
      const picture = pictureOf(this.context, this.hasCaption.get());
      if (!("ClipboardItem" in window) || !navigator.clipboard?.write) throw new Error(t("This browser copies no pictures; save it instead."));
      await navigator.clipboard.write([new ClipboardItem({ "image/png": picture })]);
      this.context.toast({ tone: "plain", title: t("Picture copied") });
    });
  }

  private async tell(act: () => Promise<void>): Promise<void> {
    try {
      await act();
    } catch (error) {
      this.context.toast({ tone: "bad", title: t("No picture"), detail: reasonOf(error) });
    }
  }

  // --- tours -------------------------------------------------------------------------------------

  private followTour(link: Link): string[] {
    if (link.tour === null) {
      this.player.close();
      return [];
    }
    const shown = this.store.shown(link.tour);
    if (shown === null) return [t("There is no tour “{name}”.", { name: link.tour })];
    if (shown.value === null) return [t("The tour “{name}” cannot be played: {why}.", { name: link.tour, why: shown.error })];
    const { length } = shown.value.steps;
    this.player.open(link.tour, shown.value, link.step - 1);
    return link.step > Math.max(length, 1) ? [t("The tour “{name}” has {n} steps.", { name: link.tour, n: length })] : [];
  }

  names(): readonly string[] {
    return this.store.names();
  }

  play(name: string): void {
    const shown = this.store.shown(name);
    if (shown?.value) this.player.open(name, shown.value, 0);
    else this.context.toast({ tone: "bad", title: t("This tour cannot be played"), detail: shown?.error ?? "" });
  }

  private record(): void {
    openName(t("New tour"), "", t("Make it"), async (name) => {
      await this.store.create(name, { description: "", steps: [], isEndless: false });
      this.editor.open(name);
    });
  }

  // --- the list ----------------------------------------------------------------------------------

  private build(): void {
    const { mirror } = this.context;
    const go = (act: () => unknown) => (): void => {
      this.popover.close();
      void act();
    };
    const caption = h("input", { attrs: { type: "checkbox", checked: this.hasCaption.get() }, on: { change: () => this.hasCaption.set(caption.checked) } });
    const may = mayEdit(this.context);
    const tours = this.store.names().map((name) =>
      h("div", { class: "show-tour" },
        h("button", { class: "twin-link grow", attrs: { type: "button" }, on: { click: go(() => this.play(name)) } }, icon("play", "dim"), h("span", { class: "clip" }, name)),
        may && iconButton("authored", t("Edit “{name}”", { name }), go(() => this.editor.open(name)), "small"),
      ),
    );
    this.list.replaceChildren(
      h("div", { class: "show-part" },
        button(t("Copy the link to this view"), go(() => offerLink(this.context, this.arrival.here())), "plain", "link"),
        mirror.time.live && mirror.firstMs > 0 ? button(t("Copy the link to this very moment"), go(() => offerLink(this.context, this.arrival.here(true))), "plain", "clock") : "",
        button(t("Show it within another page…"), go(() => openEmbed(this.context, this.arrival)), "plain", "external"),
      ),
      h("div", { class: "show-part" },
        button(t("Save a picture (I)"), go(() => this.savePicture()), "plain", "camera"),
        button(t("Copy a picture"), go(() => this.copyPicture()), "plain", "copy"),
        h("label", { class: "check-row" }, caption, h("span", {}, t("with world, time and selection below"))),
      ),
      h("div", { class: "show-part" },
        h("h3", { class: "section-title" }, t("Tours")),
        ...(tours.length > 0 ? tours : [h("p", { class: "empty-hint board-hint" }, t("A tour leads others through the plant, step by step, with words of yours."))]),
        may ? button(t("Record a tour…"), go(() => this.record()), "plain", "tour") : "",
      ),
    );
  }
}

