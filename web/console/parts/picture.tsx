import { useEffect, useRef, useState } from "react";
import { of } from "../api.ts";
import { useConsole } from "../context.ts";

/**
 * A picture of the server: fetched with the key when it comes near the screen, shown from memory. An empty square until
 * it is there, or if none was kept.
 */
export function Picture({
  path,
  alt,
  className = "thumb",
}: {
  path: string;
  alt: string;
  className?: string;
}) {
  const { api } = useConsole();
  const [source, setSource] = useState<string>();
  const place = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    let gone = false;
    const fetch = (): void => {
      api.picture(path).then(
        (address) => !gone && setSource(address),
        () => undefined,
      );
    };
    const seen = new IntersectionObserver(
      ([entry]) => {
        if (!entry?.isIntersecting) return;
        seen.disconnect();
        fetch();
      },
      { rootMargin: "300px" },
    );
    // Another picture takes the place of one that is shown: there is nothing to wait for.
    if (place.current) seen.observe(place.current);
    else fetch();
    return () => {
      gone = true;
      seen.disconnect();
    };
  }, [api, path]);
  return source ? (
    <img src={source} alt={alt} className={className} />
  ) : (
    <span ref={place} role="img" aria-label={alt} className={`block ${className}`} />
  );
}

export function SamplePicture({ id, alt, className }: { id: string; alt: string; className?: string }) {
  const { gallery } = useConsole();
  return (
    <Picture
      path={of(gallery!, "samples", id, "thumbnail")}
      alt={alt}
      {...(className !== undefined && { className })}
    />
  );
}
