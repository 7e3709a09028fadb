// Proves the way from TypeScript to the package: an empty lit scene, drawn once.
import { Color, HemisphereLight, Mesh, PerspectiveCamera, Scene, BoxGeometry, MeshStandardMaterial, WebGLRenderer } from "three";

const canvas = document.querySelector<HTMLCanvasElement>("#scene");
if (canvas === null) throw new Error("index.html has no #scene canvas");

const renderer = new WebGLRenderer({ canvas, antialias: true });
renderer.setSize(window.innerWidth, window.innerHeight);
const scene = new Scene();
scene.background = new Color(0x1b2430);
scene.add(new HemisphereLight(0xffffff, 0x334455, 2));
scene.add(new Mesh(new BoxGeometry(), new MeshStandardMaterial({ color: 0x4f9fd8 })));
const camera = new PerspectiveCamera(50, window.innerWidth / window.innerHeight);
camera.position.set(2, 1.5, 3);
camera.lookAt(0, 0, 0);
renderer.render(scene, camera);
document.documentElement.dataset["ready"] = "true";
