import type { Span, Step } from '../lib/tracer';
import { EngineError } from './errors';

/** The step of a trace that is a request to the Engine, by OpenTelemetry's conventions for HTTP clients. */
export function engineStep({ method, path }: { readonly method: string; readonly path: string }): Step {
  const template = pathTemplate(method, path);
  return {
    name: `${method} ${template}`,
    kind: 'client',
    // The query stays out: it may hold more than names.
    attributes: { 'http.request.method': method, 'url.template': template, 'url.path': path },
  };
}

export function putStatus(span: Span, statusCode: number | undefined): void {
  span.set(() => ({ 'http.response.status_code': statusCode }));
}

/** Undefined when the Engine did not answer. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof EngineError ? error.statusCode : undefined;
}

/** `/containers/{id}/start`: with ids in their names, spans could not be grouped. Image names have any number of slashes. */
export function pathTemplate(method: string, path: string): string {
  return path
    .replace(/^\/v\d+\.\d+(?=\/)/, '')
    .replace(/^\/(containers|exec)\/(?!(?:json|create)$)[^/]+/, '/$1/{id}')
    .replace(/^\/(images|distribution)\/(?!(?:json|create)$).+/, (_all, root: string) =>
      method === 'DELETE' ? `/${root}/{name}` : `/${root}/{name}/json`,
    );
}
