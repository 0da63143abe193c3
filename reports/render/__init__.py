"""The report as files: HTML, Markdown, LaTeX, CSV and JSON, each a pure function of ``reports.document``.

May import ``reports.document`` and what that may import; nothing imports it but the command line. Start with
``output_files`` (which files a format has); ``html_page`` and ``latex`` prepare what the Jinja templates in
``reports/templates`` show.
"""
