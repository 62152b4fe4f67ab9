"""Interactive figures of a study, for notebooks, the report and the dashboard: one drawing each.

Each is a function from `limbeck.analysis.results.StudyResults` to a plotly figure.
"""
