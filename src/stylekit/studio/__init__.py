"""`stylekit studio`: a page in the browser that shows a photo in every style.

`server` serves the page, and `app` answers the requests that `security` accepts. `photos`, `styles` and `choices` hold
what the user uploaded and chose. `painter` paints previews and downloads in a separate thread, with the help of
`previews`, `exports` and the `networks` that stay loaded. `events` reports the progress to the page.
"""
