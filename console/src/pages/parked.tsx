import type { JSX } from "preact";
import { t } from "../i18n";
import { Page } from "../ui";

export default function Stub(): JSX.Element {
  return <Page title={t("parked")}>{null}</Page>;
}
