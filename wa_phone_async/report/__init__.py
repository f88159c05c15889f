"""A health report as one page of HTML that loads nothing.

html.py     `to_html`: what makes the page
tables.py   the tables of a report, as values: pure
page.py     the page, with its charts and the first rows of each table
page.css    how it looks: two colour schemes, phones and paper
page.js     sorts, searches and turns the pages of the tables; without it the page shows the first rows
"""
