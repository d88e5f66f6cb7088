"""What the model may look at when somebody applies for a loan.

The last two lines were added because they made the model better on the rows at hand. So
they did, for as long as the portal's campaign ran. The clauses of the contract find them; delete them,
and build again.
"""

from __future__ import annotations

from geartrain.features.declaring import feature_set, request

features = feature_set(
    request("amount", unit="EUR", owner="domain", description="the amount asked for"),
    request("term_months", unit="months", owner="domain", description="over how long it is paid back"),
    request("purpose", type="category", owner="domain", description="what the loan is for"),
    request(
        "monthly_income",
        unit="EUR",
        missing_is_signal=True,
        owner="domain",
        description="proven income a month; none where it was not proven",
        because="who earns more has more left when something breaks",
    ),
    request(
        "monthly_debts",
        unit="EUR",
        owner="domain",
        description="instalments that are paid already",
        because="they come first",
    ),
    request(
        "burden",
        "(monthly_debts + amount / term_months) / monthly_income",
        owner="domain",
        description="the share of the income that goes to old and new instalments",
        because="above two fifths a broken washing machine is an arrear",
    ),
    request(
        "years_employed",
        unit="years",
        missing_is_signal=True,
        owner="domain",
        description="years with this employer; none for the self-employed",
    ),
    request(
        "past_arrears",
        missing_is_signal=True,
        owner="domain",
        description="arrears that the bureau knows of; none where it does not know the person",
        because="who was late before is late again more often",
    ),
    request("browser", type="category", owner="science", description="the browser of the application"),
    request("weekday", "weekday(applied_at)", owner="science", description="the day of the application"),
)
