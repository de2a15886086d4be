import { createRoot } from "react-dom/client";
import { Session } from "./session.tsx";
import "./style.css";

createRoot(document.getElementById("console")!).render(<Session />);
