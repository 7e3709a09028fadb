/** What is laid over both eyes: black while one is set down elsewhere, dark edges while one is moved. */

import { BackSide, Mesh, ShaderMaterial, SphereGeometry } from "three";

const FADE_S = 0.16;
const TUNNEL_S = 0.2;

export class Veil {
  readonly mesh: Mesh<SphereGeometry, ShaderMaterial>;
  #fade = 1;
  #isDark = false;
  #tunnel = 0;
  #then: (() => void) | null = null;

  constructor() {
    this.mesh = new Mesh(
      new SphereGeometry(0.4, 24, 16),
      new ShaderMaterial({
        side: BackSide,
        transparent: true,
        depthTest: false,
        depthWrite: false,
        fog: false,
        uniforms: { fade: { value: 1 }, tunnel: { value: 0 } },
        vertexShader: `
          varying vec3 vWay;
          void main() {
            vWay = position;
            gl_Position = projectionMatrix * modelViewMatrix * vec4(position, 1.0);
          }`,
        fragmentShader: `
          varying vec3 vWay;
          uniform float fade, tunnel;
          void main() {
            float away = acos(clamp(-normalize(vWay).z, -1.0, 1.0));
            float edge = tunnel * smoothstep(0.42, 0.72, away);
            gl_FragColor = vec4(0.0, 0.0, 0.0, max(fade, edge));
          }`,
      }),
    );
    this.mesh.frustumCulled = false;
    this.mesh.renderOrder = 1000;
  }

  /** Goes dark, does `act` while nobody sees, and comes back. A second wish takes the first's place. */
  blink(act: () => void): void {
    this.#then = act;
    this.#isDark = true;
  }

  get isBlinking(): boolean {
    return this.#isDark;
  }

  /** `isMoved`: somebody is being moved and wants dark edges. */
  update(dt_s: number, isMoved: boolean): void {
    this.#fade = step(this.#fade, this.#isDark ? 1 : 0, dt_s / FADE_S);
    this.#tunnel = step(this.#tunnel, isMoved ? 1 : 0, dt_s / TUNNEL_S);
    if (this.#isDark && this.#fade === 1) {
      const then = this.#then;
      this.#then = null;
      this.#isDark = false;
      then?.();
    }
    const { uniforms } = this.mesh.material;
    uniforms["fade"]!.value = this.#fade;
    uniforms["tunnel"]!.value = this.#tunnel;
    this.mesh.visible = this.#fade > 0 || this.#tunnel > 0;
  }

  dispose(): void {
    this.mesh.geometry.dispose();
    this.mesh.material.dispose();
  }
}

function step(from: number, to: number, by: number): number {
  return from < to ? Math.min(to, from + by) : Math.max(to, from - by);
}
