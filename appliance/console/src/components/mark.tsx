/** The product's mark: two standing stones and the table that they carry. */
export function Mark() {
  return (
    <svg className="dolmen-mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="#0f4c52" />
      <path d="M5 9.5 27 8v4.5L5 14z" fill="#fff" />
      <path d="M8.5 15.5h4V25H7.8zM19.5 15h4l.7 10h-4.7z" fill="#fff" />
    </svg>
  );
}
