"""The room `documents`: what people read, made of evidence.

In come frozen facts (findings, variants, sign-offs, costs over time); out comes text: the
run report as one HTML page (`report`), the model card as Markdown (`model_card`), charts
as SVG with the table of the same numbers (`charts`). Nothing here measures or decides.

>>> from geartrain.documents.chart_nouns import Bar, BarChart
>>> from geartrain.documents.charts import bar_chart
>>> drawn = bar_chart(BarChart(title="Costs", description="One bar.", x_label="EUR", bars=(Bar(name="never", value=3),)))
>>> drawn.count("<svg"), "<script" in drawn
(2, False)
"""
