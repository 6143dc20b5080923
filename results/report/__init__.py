"""What people read: tables and charts, as text for a terminal, Markdown, LaTeX, HTML and CSV."""
