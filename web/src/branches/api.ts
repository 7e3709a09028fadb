/** What is asked of the server about branches. Knows the addresses, and nothing of how answers look. */

import type { Rest } from "../mirror.ts";
import type {
  AssumeRequest,
  Branch,
  BranchChanges,
  BranchDiff,
  BranchesPage,
  BranchPatch,
  BranchRequest,
  Comparison,
  ControlRequest,
  Evaluation,
  EvaluationRequest,
  EvaluationsPage,
  Plan,
  PlanAct,
  PlansPage,
  RunRequest,
  RunState,
} from "../protocol.ts";
import { apiUrl } from "../rest.ts";

type Id = string;

export class BranchApi {
  readonly #rest: Rest;

  constructor(rest: Rest) {
    this.#rest = rest;
  }

  list(): Promise<BranchesPage> {
    return this.#rest.get("branches");
  }

  make(request: Partial<BranchRequest> & { name: string }): Promise<Branch> {
    return this.#rest.post("branches", request);
  }

  patch(id: Id, patch: Partial<BranchPatch>): Promise<Branch> {
    return this.#rest.put(path(id), patch);
  }

  discard(id: Id): Promise<unknown> {
    return this.#rest.delete(path(id));
  }

  exportUrl(id: Id): string {
    return apiUrl(`${path(id)}/world/export`).href;
  }

  changes(id: Id): Promise<BranchChanges> {
    return this.#rest.get(`${path(id)}/changes`);
  }

  edit(id: Id, edits: readonly unknown[], reason = ""): Promise<unknown> {
    return this.#rest.post(`${path(id)}/edits`, { edits, reason });
  }

  assume(id: Id, request: Partial<AssumeRequest>): Promise<unknown> {
    return this.#rest.post(`${path(id)}/values`, request);
  }

  undo(id: Id, position: string): Promise<unknown> {
    return this.#rest.post(`${path(id)}/undo`, {}, { position });
  }

  diff(id: Id, against: string): Promise<BranchDiff> {
    return this.#rest.get(`${path(id)}/diff`, { against });
  }

  run(id: Id, request: Partial<RunRequest>): Promise<RunState> {
    return this.#rest.post(`${path(id)}/run`, request);
  }

  control(id: Id, request: Partial<ControlRequest> & { act: string }): Promise<RunState> {
    return this.#rest.post(`${path(id)}/control`, request);
  }

  evaluations(id: Id): Promise<EvaluationsPage> {
    return this.#rest.get(`${path(id)}/evaluations`);
  }

  evaluate(id: Id, request: Partial<EvaluationRequest> & { evaluator: string }): Promise<Evaluation> {
    return this.#rest.post(`${path(id)}/evaluations`, request);
  }

  cancel(id: Id, evaluation: Id): Promise<unknown> {
    return this.#rest.post(`${path(id)}/evaluations/${encodeURIComponent(evaluation)}/cancel`);
  }

  forget(id: Id, evaluation: Id): Promise<unknown> {
    return this.#rest.delete(`${path(id)}/evaluations/${encodeURIComponent(evaluation)}`);
  }

  compare(branches: readonly Id[], evaluator: string): Promise<Comparison> {
    return this.#rest.get("branches/compare", { branch: branches, evaluator });
  }

  plan(id: Id, request: { reason: string; calls: readonly { twin: string; operation: string; arguments: Record<string, unknown> }[] }): Promise<Plan> {
    return this.#rest.post(`${path(id)}/plans`, request);
  }

  plans(): Promise<PlansPage> {
    return this.#rest.get("plans");
  }

  act(plan: Id, act: Partial<PlanAct> & { act: string }): Promise<Plan> {
    return this.#rest.post(`plans/${encodeURIComponent(plan)}`, act);
  }
}

function path(id: Id): string {
  return `branches/${encodeURIComponent(id)}`;
}
