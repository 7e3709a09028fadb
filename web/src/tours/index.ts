// Show and tell: a link to what is shown, a picture of it, the page within another, and guided tours.

import "./tours.css";

import type { Context } from "../panels/context.ts";
import { reasonOf, remembered } from "../panels/context.ts";
import { button, h, iconButton, popover } from "../panels/dom.ts";
import { t } from "../words.ts";
import { Arrival } from "./arrival.ts";
import { offerLink } from "./offer.ts";
import { pictureOf, save } from "./picture.ts";

export class Show {
  /** The way to all of it, for the bar above. */
  readonly button = iconButton("share", t("Show and tell: link, picture, tours"), () => undefined, "show-button");
  readonly arrival: Arrival;
  private readonly list = h("div", { class: "show-list", role: "dialog", attrs: { "aria-label": t("Show and tell") } });
  private readonly popover: { close(): void; isOpen(): boolean };
  private readonly hasCaption = remembered("picture.caption", true);

  constructor(private readonly context: Context) {
    this.arrival = new Arrival(context);
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

  private build(): void {
    const { mirror } = this.context;
    const go = (act: () => unknown) => (): void => {
      this.popover.close();
      void act();
    };
    const caption = h("input", { attrs: { type: "checkbox", checked: this.hasCaption.get() }, on: { change: () => this.hasCaption.set(caption.checked) } });
    this.list.replaceChildren(
      h("div", { class: "show-part" },
        button(t("Copy the link to this view"), go(() => offerLink(this.context, this.arrival.here())), "plain", "link"),
        mirror.time.live && mirror.firstMs > 0 ? button(t("Copy the link to this very moment"), go(() => offerLink(this.context, this.arrival.here(true))), "plain", "clock") : "",
      ),
      h("div", { class: "show-part" },
        button(t("Save a picture  P"), go(() => this.savePicture()), "plain", "camera"),
        button(t("Copy a picture"), go(() => this.copyPicture()), "plain", "copy"),
        h("label", { class: "check-row" }, caption, h("span", {}, t("with world, time and selection below"))),
      ),
    );
  }
}
